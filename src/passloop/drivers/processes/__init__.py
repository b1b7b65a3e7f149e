"""drivers/processes"""
